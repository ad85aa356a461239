"""All mutants, in the order of the invariants."""

from mutants.model import Mutant
from mutants.of_admission import WALLS
from mutants.of_callers import CALLERS
from mutants.of_ends import ENDS
from mutants.of_files import FILES
from mutants.of_grants import GRANTS
from mutants.of_lease import LEASE
from mutants.of_marks import MARKS
from mutants.of_old_views import OLD_VIEWS
from mutants.of_order import ORDER
from mutants.of_rest import REST_AND_HONESTY
from mutants.of_servers import SERVERS
from mutants.of_texts import TEXTS
from mutants.of_vault import VAULT
from mutants.of_withdrawal import WITHDRAWAL

MUTANTS: tuple[Mutant, ...] = tuple(
    sorted(
        (
            *CALLERS,
            *TEXTS,
            *MARKS,
            *VAULT,
            *ORDER,
            *WITHDRAWAL,
            *ENDS,
            *REST_AND_HONESTY,
            *LEASE,
            *SERVERS,
            *WALLS,
            *GRANTS,
            *OLD_VIEWS,
            *FILES,
        ),
        key=lambda mutant: (mutant.invariant, mutant.real),
    )
)

"""`python -m agent_identity.cli`, where no script is installed."""

from agent_identity.cli.main import main

if __name__ == "__main__":
    main()

"""How much the operator costs beside a client that only sends its requests.

The floor and the operator each get a fresh bed of their own, one after the other, so that both
write the same number of objects, in the same namespace, to servers as empty and as young. On each
bed the operator first brings one sample about, so that discovery, logins and caches are warm; on
the floor's bed it is then stopped, and what it sent for the sample is the recipe that a plain
client follows for every identity: the same requests, in the same order, with the same bodies and
the operator's own tokens, so that the servers authorise what they would authorise. Changes of an
identity and of its class have recipes of their own. What the operator only reads is left out,
except where the table says so, and so are events.

On a third bed the same is done by `naive_operator.py`, the operator that most would write.

Nothing is asserted about time: a shared machine would make such a test lie. What other programs
took of the processors is in the table, so that a disturbed run can be seen for what it is.
"""

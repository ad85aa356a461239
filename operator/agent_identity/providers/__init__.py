"""The rooms: what each backend needs for an identity. Equal, behind one door, blind to each other."""

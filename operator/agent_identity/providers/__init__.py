"""The rooms: what each backend needs. Equal, behind one door, blind to each other."""

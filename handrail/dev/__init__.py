"""The servers a laptop needs, from wheels: started with us, stopped with us."""

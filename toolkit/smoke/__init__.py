"""What a person does with the suite, tried from outside: one result for each check, negative controls among them."""

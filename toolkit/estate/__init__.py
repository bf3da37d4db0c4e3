"""What is there: the AWS estate, read once and kept as a file that holds no secret."""

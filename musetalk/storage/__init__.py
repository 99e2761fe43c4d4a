"""Objects in stores (S3 and its like): named by URLs, told apart by what a store says of them, fetched whole."""

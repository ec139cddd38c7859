-- The order in which indexes were made is nothing to go back to.
SELECT 1;

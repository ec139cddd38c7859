-- A check of a foreign key looks for all columns of the key. As long as a table has no statistics, or had few rows when they were taken, the planner
-- counts the same costs for every index that begins with some of these columns, and of equals takes the one made last: it read every row of the partner
-- for each row of a first batch, which took 30 s for 10,000 reports. So the index of the key itself is made last.
DO $$
DECLARE
  owned regclass;
  key record;
  leave text[];
  come text[];
  command text;
BEGIN
  FOREACH owned IN ARRAY ARRAY['todoku.partner', 'todoku.customer', 'todoku.subscription', 'todoku.status_report']::regclass[] LOOP
    SELECT conname, pg_get_constraintdef(oid) AS definition INTO STRICT key FROM pg_constraint WHERE conrelid = owned AND contype = 'p';
    SELECT array_agg(format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)),
      array_agg(format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)))
      INTO STRICT leave, come FROM pg_constraint WHERE confrelid = owned AND contype = 'f' AND conparentid = 0;
    FOREACH command IN ARRAY leave || format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s', owned, key.conname, key.conname, key.definition) || come LOOP
      EXECUTE command;
    END LOOP;
  END LOOP;
END $$;

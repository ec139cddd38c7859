-- Without the column that says so, what was taken back would count again.
ALTER TABLE todoku.outcome NO FORCE ROW LEVEL SECURITY;
DELETE FROM todoku.outcome WHERE withdrawn_at IS NOT NULL;
ALTER TABLE todoku.outcome FORCE ROW LEVEL SECURITY;
DROP INDEX todoku.outcome_customer_list;
DROP INDEX todoku.outcome_partner_list;
DROP INDEX todoku.outcome_vendor_list;
DROP INDEX todoku.outcome_once;
ALTER TABLE todoku.outcome DROP CONSTRAINT outcome_withdrawn, DROP COLUMN withdrawn_by, DROP COLUMN withdrawn_at;
ALTER TABLE todoku.outcome ADD CONSTRAINT outcome_once UNIQUE NULLS NOT DISTINCT (vendor_id, partner_id, customer_id, subscription_id, audience, kind, occurred_on);

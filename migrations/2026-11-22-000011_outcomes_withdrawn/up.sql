-- An outcome told by mistake is taken back, never deleted: it stays readable and teaches no more.
ALTER TABLE todoku.outcome ADD COLUMN withdrawn_at timestamptz, ADD COLUMN withdrawn_by uuid,
  ADD CONSTRAINT outcome_withdrawn CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL));
-- What was taken back may be told again, so only those that stand are one of their kind.
ALTER TABLE todoku.outcome DROP CONSTRAINT outcome_once;
CREATE UNIQUE INDEX outcome_once ON todoku.outcome (vendor_id, partner_id, customer_id, subscription_id, audience, kind, occurred_on)
  NULLS NOT DISTINCT WHERE withdrawn_at IS NULL;
-- Newest day first. A partner's list has an index of its own, so that it takes no longer because others have told much.
CREATE INDEX outcome_vendor_list ON todoku.outcome (vendor_id, occurred_on DESC, id);
-- One customer's, for its list and for finding what a repeated one is of.
CREATE INDEX outcome_customer_list ON todoku.outcome (vendor_id, customer_id, occurred_on DESC, id);
CREATE INDEX outcome_partner_list ON todoku.outcome (vendor_id, partner_id, occurred_on DESC, id);

"""What revision 0004 adds: the states of coins' features, so that a start reads only the rows since."""

COIN_STATES = """
CREATE TABLE coin_states (
    coin_id varchar(255) PRIMARY KEY,
    definition bytea NOT NULL,
    "timestamp" timestamptz NOT NULL,
    state bytea NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now()
)"""

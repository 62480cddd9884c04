"""Tables of the services that came before, with rows as they wrote them.

Columns are those that their documents name; types and the rest of the schema are what such services have.
"""

SCHEMA = """
CREATE TABLE ml_models (
    id BIGSERIAL PRIMARY KEY, name VARCHAR(255) NOT NULL, model_type VARCHAR(50) NOT NULL,
    status VARCHAR(20) DEFAULT 'TRAINING', target_variable VARCHAR(100) NOT NULL, target_operator VARCHAR(10),
    target_value NUMERIC(30,10), train_start TIMESTAMP WITH TIME ZONE NOT NULL,
    train_end TIMESTAMP WITH TIME ZONE NOT NULL, features JSONB NOT NULL, phases JSONB, params JSONB,
    future_minutes INTEGER, price_change_percent NUMERIC(10,4), target_direction VARCHAR(10),
    training_accuracy NUMERIC(5,4), training_f1 NUMERIC(5,4), training_precision NUMERIC(5,4),
    training_recall NUMERIC(5,4), roc_auc NUMERIC(5,4), mcc NUMERIC(6,4), fpr NUMERIC(5,4), fnr NUMERIC(5,4),
    confusion_matrix JSONB, feature_importance JSONB, cv_scores JSONB, simulated_profit_pct NUMERIC,
    model_file_path TEXT, description TEXT, is_deleted BOOLEAN DEFAULT FALSE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(), updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW());
ALTER TABLE ml_models ADD CONSTRAINT chk_future_minutes CHECK (future_minutes IS NULL OR future_minutes > 0);
CREATE INDEX idx_models_type_status ON ml_models (model_type, status);
ALTER TABLE ml_models ADD COLUMN is_active BOOLEAN DEFAULT false;
ALTER TABLE ml_models ADD COLUMN alert_threshold NUMERIC(5, 4) DEFAULT 0.7;
CREATE TABLE ml_test_results (
    id BIGSERIAL PRIMARY KEY, model_id BIGINT REFERENCES ml_models (id) ON DELETE CASCADE,
    test_start TIMESTAMP WITH TIME ZONE, test_end TIMESTAMP WITH TIME ZONE, accuracy NUMERIC(5,4),
    f1_score NUMERIC(5,4), precision_score NUMERIC(5,4), recall NUMERIC(5,4), roc_auc NUMERIC, mcc NUMERIC,
    fpr NUMERIC, fnr NUMERIC, confusion_matrix JSONB, num_samples INTEGER, num_positive INTEGER,
    num_negative INTEGER, has_overlap BOOLEAN, overlap_note TEXT, feature_importance JSONB, train_accuracy NUMERIC,
    accuracy_degradation NUMERIC, is_overfitted BOOLEAN, simulated_profit_pct NUMERIC,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW());
CREATE TABLE ml_comparisons (
    id BIGSERIAL PRIMARY KEY, model_a_id BIGINT REFERENCES ml_models (id), model_b_id BIGINT REFERENCES ml_models (id),
    test_a_id BIGINT REFERENCES ml_test_results (id), test_b_id BIGINT REFERENCES ml_test_results (id),
    winner_id BIGINT REFERENCES ml_models (id), test_start TIMESTAMP WITH TIME ZONE,
    test_end TIMESTAMP WITH TIME ZONE, created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW());
CREATE TABLE ml_jobs (
    id BIGSERIAL PRIMARY KEY, job_type VARCHAR(20) NOT NULL, status VARCHAR(20) NOT NULL DEFAULT 'PENDING',
    priority INTEGER DEFAULT 5, progress NUMERIC(5,4) DEFAULT 0, progress_msg TEXT, error_msg TEXT,
    train_model_type VARCHAR(50), test_model_id BIGINT, result_model_id BIGINT, result_test_id BIGINT,
    result_comparison_id BIGINT, worker_id VARCHAR(100), created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    started_at TIMESTAMP WITH TIME ZONE, completed_at TIMESTAMP WITH TIME ZONE);
CREATE TABLE predictions (
    id BIGSERIAL PRIMARY KEY, coin_id VARCHAR(255) NOT NULL, timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
    model_id BIGINT NOT NULL REFERENCES ml_models (id) ON DELETE CASCADE, prediction INTEGER NOT NULL,
    probability NUMERIC(5, 4) NOT NULL, features JSONB, created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW());
CREATE INDEX idx_predictions_coin_timestamp ON predictions (coin_id, timestamp DESC);
CREATE INDEX idx_predictions_model ON predictions (model_id);
CREATE INDEX idx_predictions_created ON predictions (created_at DESC);
CREATE TABLE prediction_alerts (
    id BIGSERIAL PRIMARY KEY, prediction_id BIGINT REFERENCES predictions (id) ON DELETE CASCADE,
    coin_id VARCHAR(255) NOT NULL, model_id BIGINT NOT NULL, probability NUMERIC(5, 4) NOT NULL,
    threshold NUMERIC(5, 4) NOT NULL, alert_sent BOOLEAN DEFAULT false,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW())"""

# Of the models: one as it should be; one with JSON as text inside JSON; one of a family that is none; one of the first
# one's name; one whose period is none; and a deleted one with what nobody knows.
ROWS = r"""
INSERT INTO ml_models (id, name, model_type, status, target_variable, target_operator, target_value, train_start,
    train_end, features, phases, params, future_minutes, price_change_percent, target_direction, training_accuracy,
    training_f1, mcc, confusion_matrix, feature_importance, model_file_path, is_deleted, is_active, alert_threshold)
VALUES
(1, 'Finale', 'xgboost', 'READY', 'price_close', NULL, NULL, '2024-01-01', '2024-01-01 08:00',
    '["volume_sol", "price_close"]',
    '[1, 2]', '{"n_estimators": 20, "use_smote": false, "use_timeseries_split": true, "cv_splits": 2}', 5, 30, 'up',
    0.91, 0.42, 0.31, '{"tp": 5, "tn": 80, "fp": 9, "fn": 6}', '{"volume_sol": 0.75, "price_close": 0.25}',
    '/app/models/model_1.pkl', false, true, 0.8),
(2, 'Schwelle', 'random_forest', 'READY', 'market_cap_close', '>', 10000, '2024-01-01', '2024-01-02',
    '"[\"price_open\", \"price_high\", \"volume_sol\"]"', NULL, '"{\"max_depth\": 4, \"bogus\": 1}"', NULL, NULL, NULL,
    0.8, NULL, NULL, '[[70, 10], [5, 15]]', NULL, '/app/models/model_2.pkl', false, false, 0.7),
(3, 'Netz', 'lstm', 'READY', 'price_close', NULL, NULL, '2024-01-01', '2024-01-02', '["price_close"]', NULL,
    '{"units": 64}', 10, 5, 'up', NULL, NULL, NULL, NULL, NULL, '/app/models/model_3.pkl', false, true, 0.7),
(4, 'Finale', 'xgboost', 'FAILED', 'price_close', NULL, NULL, '2024-01-01', '2024-01-02',
    '["volume_sol", "whale_aura"]', NULL, '{"_time_based": {"enabled": true, "future_minutes": 10,
    "min_percent_change": 5.5, "direction": "down"}}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false,
    false, 0.7),
(5, 'Verkehrt', 'xgboost', 'READY', 'price_close', '>', 1, '2024-01-02', '2024-01-01', '["volume_sol"]', NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, false, 0.7),
(6, 'Finale', 'xgboost', 'READY', 'price_close', '>', 1, '2024-01-01', '2024-01-02', '["volume_sol"]', NULL, NULL, NULL,
    NULL, NULL, 0.5, NULL, NULL, NULL, NULL, NULL, true, false, NULL);
INSERT INTO ml_test_results (id, model_id, test_start, test_end, accuracy, f1_score, roc_auc, mcc, confusion_matrix,
    num_samples, has_overlap, is_overfitted)
VALUES
(1, 1, '2024-01-02', '2024-01-03', 0.9, 0.4, 0.8, 0.2, '{"tp": 4, "tn": 90, "fp": 3, "fn": 3}', 100, NULL, true),
(2, 2, '2024-01-02', '2024-01-03', 0.7, 0.1, 'NaN', 7, '"[[1, 2], [3, 4]]"', 10, true, NULL),
(3, 5, '2024-01-02', '2024-01-03', 0.7, 0.1, 0.5, 0, NULL, 10, false, NULL),
(4, 1, '2024-01-03', '2024-01-02', 0.7, 0.1, 0.5, 0, NULL, 10, false, NULL);
INSERT INTO ml_comparisons (id, model_a_id, model_b_id, test_a_id, test_b_id, winner_id, test_start, test_end) VALUES
(1, 1, 2, 1, 2, 1, '2024-01-02', '2024-01-03'), (2, 2, 1, NULL, 4, 3, '2024-01-02', '2024-01-03'),
(3, 1, 5, 1, 3, 1, '2024-01-02', '2024-01-03');
INSERT INTO ml_jobs (id, job_type, status, progress, error_msg, train_model_type, test_model_id, result_model_id,
    result_test_id, worker_id, started_at, completed_at)
VALUES
(1, 'TRAIN', 'COMPLETED', 1, NULL, 'xgboost', NULL, 1, NULL, 'w1', '2024-01-01', '2024-01-01 00:05'),
(2, 'TEST', 'COMPLETED', 1, NULL, NULL, 1, NULL, 1, 'w1', '2024-01-02', '2024-01-02 00:05'),
(3, 'TRAIN', 'RUNNING', 0.4, NULL, 'xgboost', NULL, NULL, NULL, 'w1', '2024-01-02', NULL),
(4, 'TRAIN', 'FAILED', 0.2, 'no rows', 'xgboost', NULL, 5, NULL, 'w1', '2024-01-02', '2024-01-02 01:00');
INSERT INTO predictions (coin_id, timestamp, model_id, prediction, probability, features, created_at)
SELECT 'COIN' || k % 3, '2024-03-01'::timestamptz + k * interval '20 minutes', 1 + k % 2, k % 2,
    round((0.001 * k)::numeric, 4), CASE WHEN k % 4 = 0 THEN '{"volume_sol": 1.5}'::jsonb END,
    '2024-03-01'::timestamptz + k * interval '20 minutes'
FROM generate_series(0, 299) k;
INSERT INTO predictions (coin_id, timestamp, model_id, prediction, probability)
SELECT coin_id, timestamp, model_id, 1, 0.99 FROM predictions WHERE id <= 10;
INSERT INTO prediction_alerts (prediction_id, coin_id, model_id, probability, threshold, alert_sent)
SELECT id, coin_id, model_id, probability, 0.7, id % 2 = 0 FROM predictions WHERE id > 290 OR id <= 3"""

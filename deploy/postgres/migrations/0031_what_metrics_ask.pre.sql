-- The projector tells in metrics which messages no rate is loaded for, and which templates Meta has stopped: by the views that people ask.
GRANT SELECT ON analytics.fct_cost, analytics.dim_template TO parley_projector;

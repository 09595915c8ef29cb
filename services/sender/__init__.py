"""Lane to Graph API: gate, STARTED row, pace, post, outcome; never twice, never above the limit."""

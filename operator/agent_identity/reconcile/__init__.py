"""The engine: event → parse → desired → observe → plan → apply → status. Knows no room."""

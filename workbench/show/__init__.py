"""What people see: tables, charts, the report, and the widgets of the notebooks."""

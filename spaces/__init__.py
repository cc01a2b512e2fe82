"""What can be built: search spaces, features, rules and regions. No SQL, torch only in builders."""

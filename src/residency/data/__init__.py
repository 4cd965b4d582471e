"""Sources → checks → cleaning → splits → dataset versions → token rows."""

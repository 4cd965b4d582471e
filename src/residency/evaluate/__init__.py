"""How good are answers? Nothing here generates: stored responses are graded again without it."""

SELECT relay FROM onceward.ownership ORDER BY epoch DESC LIMIT 1

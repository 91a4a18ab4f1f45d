UPDATE onceward_console.bulk_item SET state = %(state)s, outcome = %(outcome)s WHERE bulk_id = %(id)s AND no = %(no)s

"""What an evaluation is made of, all of it judged from what the serving path answered.

known → answers → groups → beyond → intervals → charts → page: what was known of shoppers and
items, what the path answered, whose purchases are judged together, what lists are like whatever
was bought, how sure a mean is, and how it is shown. Only known and answers read a table.
"""

"""PostgreSQL: where everything that lasts is kept.

Each sub-package has a surface of its own; nothing is imported here. A later one may import those before it:

``server``
    The embedded server, connections, migrations, errors.
``binary_copy``, ``operations``
    Rows of PostgreSQL's binary COPY; API keys, retention, notifications of changes, metrics of the service.
``markets``, ``predictions``
    Tables of market data; stored predictions and alerts.
``feed``
    New rows of a market, leased by lanes, and the transaction that stores what was predicted from them.
``registry``
    Models, their artifacts, results and activations.
"""

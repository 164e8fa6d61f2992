"""The X12 sets that are mapped, and their sheets."""

from typing import Final

from stockbridge.connectors.edi.documents import x12_orders as orders
from stockbridge.connectors.edi.documents import x12_warehouse as warehouse
from stockbridge.connectors.edi.documents.sheet import Sheet

SHEETS: Final[dict[str, Sheet]] = {
    "180": orders.RETURN,
    "753": warehouse.ROUTING_REQUEST,
    "754": warehouse.ROUTING_ANSWER,
    "810": orders.INVOICE,
    "846": orders.STOCK,
    "850": orders.ORDER,
    "852": orders.ACTIVITY,
    "855": orders.ORDER_ANSWER,
    "856": warehouse.SHIP_NOTICE,
    "860": orders.ORDER_CHANGE,
    "861": warehouse.RECEIVING,
    "865": orders.CHANGE_ANSWER,
    "940": warehouse.WAREHOUSE_ORDER,
    "943": warehouse.TRANSFER,
    "944": warehouse.RECEIPT,
    "945": warehouse.SHIPMENT,
    "947": warehouse.ADJUSTMENT,
}

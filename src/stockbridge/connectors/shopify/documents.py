"""Every GraphQL document that is sent, valid for the Admin API 2026-10.

The name of each document is what the simulator knows it by. The size of a page keeps a document's
cost under the 1,000 points of one call: a node costs one, a list as many as are asked for.
"""

from typing import Final

TEST: Final = """
query Test {
  shop { myshopifyDomain }
  currentAppInstallation { accessScopes { handle } }
  locations(first: 250, includeLegacy: true) { nodes { id isActive name } }
}
"""

OBSERVE: Final = """
query Observe($items: [ID!]!, $location: ID!) {
  nodes(ids: $items) {
    __typename
    ... on InventoryItem {
      id
      tracked
      inventoryLevel(locationId: $location) { quantities(names: ["available"]) { quantity } }
    }
  }
}
"""

PUBLISH: Final = """
mutation Publish($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) {
    userErrors { code field message }
  }
}
"""

ACTIVATE: Final = """
mutation Activate($item: ID!, $location: ID!, $available: Int!, $key: String!) {
  inventoryActivate(inventoryItemId: $item, locationId: $location, available: $available)
    @idempotent(key: $key) {
    userErrors { field message }
  }
}
"""

CATALOG: Final = """
query Catalog($first: Int!, $after: String!) {
  productVariants(first: $first, sortKey: ID, query: $after) {
    nodes { id sku barcode displayName inventoryItem { id } }
    pageInfo { hasNextPage }
  }
}
"""

_LINE: Final = """
fragment Line on LineItem {
  id
  sku
  quantity
  currentQuantity
  nonFulfillableQuantity
  requiresShipping
  variant { inventoryItem { id tracked } }
}
"""

ORDERS: Final = (
    """
query Orders($first: Int!, $changed: String!, $after: String, $hasAddress: Boolean!) {
  orders(first: $first, sortKey: UPDATED_AT, query: $changed, after: $after) {
    nodes {
      id
      test
      createdAt
      updatedAt
      processedAt
      cancelledAt
      cancelReason
      currencyCode
      displayFinancialStatus
      shippingAddress @include(if: $hasAddress) {
        name company address1 address2 city provinceCode zip countryCodeV2 phone
      }
      lineItems(first: 20) {
        nodes { ...Line }
        pageInfo { hasNextPage endCursor }
      }
      refunds(first: 10) { id }
      returns(first: 1) { nodes { id } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""
    + _LINE
)

LINES: Final = (
    """
query Lines($order: ID!, $after: String) {
  order(id: $order) {
    lineItems(first: 200, after: $after) {
      nodes { ...Line }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""
    + _LINE
)

REFUNDS: Final = """
query Refunds($order: ID!) {
  order(id: $order) { refunds(first: 250) { id } }
}
"""

REFUND: Final = """
query Refund($refund: ID!, $after: String) {
  refund(id: $refund) {
    id
    note
    createdAt
    return { id }
    refundLineItems(first: 100, after: $after) {
      nodes { quantity restockType restocked lineItem { id } location { id } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

RETURNS: Final = """
query Returns($order: ID!, $after: String) {
  order(id: $order) {
    returns(first: 20, after: $after) {
      nodes { id reverseFulfillmentOrders(first: 20) { nodes { id } } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

RETURNED: Final = """
query Returned($id: ID!, $after: String) {
  reverseFulfillmentOrder(id: $id) {
    lineItems(first: 150, after: $after) {
      nodes {
        fulfillmentLineItem { lineItem { id } }
        dispositions { id type quantity createdAt location { id } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

PARCEL: Final = """
query Parcel($order: ID!, $key: String!) {
  order(id: $order) {
    cancelledAt
    metafield(key: $key) { value }
    fulfillments(first: 100) { id status trackingInfo(first: 3) { number } }
  }
}
"""

FULFILLMENT: Final = """
query Fulfillment($id: ID!, $after: String) {
  fulfillment(id: $id) {
    fulfillmentLineItems(first: 250, after: $after) {
      nodes { quantity lineItem { id } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

FULFILLMENT_ORDERS: Final = """
query FulfillmentOrders($order: ID!, $after: String) {
  order(id: $order) {
    fulfillmentOrders(first: 8, after: $after) {
      nodes {
        id
        status
        assignedLocation { location { id } }
        lineItems(first: 40) {
          nodes { id remainingQuantity lineItem { id } }
          pageInfo { hasNextPage endCursor }
        }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

FULFILLMENT_ORDER_LINES: Final = """
query FulfillmentOrderLines($id: ID!, $after: String) {
  fulfillmentOrder(id: $id) {
    lineItems(first: 200, after: $after) {
      nodes { id remainingQuantity lineItem { id } }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""

REMEMBER: Final = """
mutation Remember($metafields: [MetafieldsSetInput!]!) {
  metafieldsSet(metafields: $metafields) { userErrors { code field message } }
}
"""

SHIP: Final = """
mutation Ship($fulfillment: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $fulfillment) {
    fulfillment { id }
    userErrors { field message }
  }
}
"""

CANCEL: Final = """
mutation Cancel($order: ID!, $reason: OrderCancelReason!, $note: String!, $notify: Boolean!) {
  orderCancel(
    orderId: $order, reason: $reason, restock: false, staffNote: $note, notifyCustomer: $notify
    refundMethod: { originalPaymentMethodsRefund: false }
  ) {
    job { id done }
    orderCancelUserErrors { code field message }
  }
}
"""

REFUND_UNITS: Final = """
mutation RefundUnits($input: RefundInput!, $key: String!) {
  refundCreate(input: $input) @idempotent(key: $key) {
    refund { id }
    userErrors { field message }
  }
}
"""

CANCELLED: Final = """
query Cancelled($order: ID!) {
  order(id: $order) {
    cancelledAt
    fulfillments(first: 100) { status }
    refunds(first: 250) { id note }
  }
}
"""

JOB: Final = """
query Job($id: ID!) {
  job(id: $id) { id done }
}
"""

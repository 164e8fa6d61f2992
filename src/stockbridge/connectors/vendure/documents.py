"""What is asked of the Admin API, in GraphQL; each operation has a name of its own."""

from typing import Final

_VARIANT: Final = """
  id sku name trackInventory outOfStockThreshold useGlobalOutOfStockThreshold
  stockLevels { stockLocationId stockOnHand stockAllocated }
"""

_ORDER: Final = """
  id code type state active orderPlacedAt updatedAt currencyCode
  customer { id }
  shippingAddress {
    fullName company streetLine1 streetLine2 city province postalCode countryCode phoneNumber
  }
  payments { state createdAt }
  modifications { id }
  lines { id quantity productVariant { id sku } }
  fulfillments { id state method trackingCode lines { orderLineId quantity } }
  history(options: { filter: { type: { eq: "ORDER_CANCELLATION" } }, sort: { id: ASC } }) {
    items { id data }
  }
"""

_ERROR: Final = "... on ErrorResult { errorCode message }"

LOGIN: Final = f"""mutation Login($username: String!, $password: String!) {{
  login(username: $username, password: $password) {{ __typename {_ERROR} }}
}}"""

ABOUT: Final = """query About {
  activeChannel { id code token }
  globalSettings { trackInventory outOfStockThreshold }
  stockLocations(options: { take: 100 }) { items { id name } }
  me { identifier channels { id code permissions } }
}"""

FIGURES: Final = f"""query Figures($options: ProductVariantListOptions) {{
  globalSettings {{ trackInventory outOfStockThreshold }}
  productVariants(options: $options) {{ items {{ {_VARIANT} }} }}
}}"""

SET_FIGURES: Final = f"""mutation SetFigures($input: [UpdateProductVariantInput!]!) {{
  updateProductVariants(input: $input) {{ {_VARIANT} }}
}}"""

CATALOG: Final = """query Catalog($options: ProductVariantListOptions) {
  productVariants(options: $options) { totalItems items { id sku name } }
}"""

ORDERS: Final = f"""query Orders($options: OrderListOptions) {{
  orders(options: $options) {{ totalItems items {{ {_ORDER} }} }}
}}"""

ORDER: Final = f"""query OneOrder($options: OrderListOptions) {{
  orders(options: $options) {{ items {{ {_ORDER} }} }}
}}"""

FULFILL: Final = f"""mutation Fulfill($input: FulfillOrderInput!) {{
  addFulfillmentToOrder(input: $input) {{
    __typename ... on Fulfillment {{ id state }} {_ERROR}
    ... on InsufficientStockOnHandError {{ productVariantId stockOnHand }}
    ... on FulfillmentStateTransitionError {{ transitionError }}
  }}
}}"""

TRANSIT: Final = f"""mutation Transit($id: ID!, $state: String!) {{
  transitionFulfillmentToState(id: $id, state: $state) {{
    __typename ... on Fulfillment {{ id state }} {_ERROR}
    ... on FulfillmentStateTransitionError {{ transitionError }}
  }}
}}"""

CANCEL: Final = f"""mutation Cancel($input: CancelOrderInput!) {{
  cancelOrder(input: $input) {{
    __typename ... on Order {{ id state }} {_ERROR}
    ... on OrderStateTransitionError {{ transitionError }}
  }}
}}"""

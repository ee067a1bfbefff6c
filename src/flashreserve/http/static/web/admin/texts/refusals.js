/* The codes with which reserving is refused, in words. */
export const refusals = {
  'sold-out': 'Too few units were left',
  'limit-reached': "The customer's limit was reached",
  'not-on-sale': 'The sale was not open',
  'sale-paused': 'The sale was paused',
  'not-found': 'No such product',
  'key-reused': 'The idempotency key stood for another request',
  'open-holds-reached': 'The customer had too many open holds',
  'hourly-holds-reached': 'The customer had too many holds in an hour',
  'lapses-reached': 'The customer let too many holds lapse',
  unavailable: 'The service was busy',
};

// FlashReserve for a page of another origin. It runs in the browser, as a module.

/** A refusal: `status`, and the problem document with `code`, `detail` and facts such as `available`. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title);
    Object.assign(this, { status, code: problem.code, problem });
  }
}

export class Flash {
  #url;
  #tokenOf;

  /**
   * `url` is FlashReserve's address. `tokenOf` returns the customer's token, or a promise of it: it is called for each
   * request, so that it can return a fresh one. Without `tokenOf`, requests are sent with FlashReserve's own cookie.
   */
  constructor(url, tokenOf) {
    this.#url = url;
    this.#tokenOf = tokenOf;
  }

  signIn = (email, password) => this.#ask("POST", "/auth/login", { body: { email, password } });
  product = async (externalId) => (await this.#ask("GET", `/products?externalId=${externalId}`)).items[0];
  stock = (productId) => this.#ask("GET", `/products/${productId}/stock`);
  buy = (reservationId) => this.#ask("POST", `/checkout/${reservationId}`);
  cancel = (reservationId) => this.#ask("DELETE", `/reservations/${reservationId}`);

  /** Holds units. `click` is new for each click on "buy": if no answer comes, call again with the same one. */
  reserve = (productId, click, quantity = 1) =>
    this.#ask("POST", `/products/${productId}/reservations`, { key: click, body: { quantity } });

  async #ask(method, path, { key, body } = {}) {
    const headers = {};
    if (this.#tokenOf) headers.Authorization = `Bearer ${await this.#tokenOf()}`;
    if (key) headers["Idempotency-Key"] = key;
    if (body) headers["Content-Type"] = "application/json";
    const credentials = this.#tokenOf ? "omit" : "include";
    const answer = await fetch(this.#url + path, { method, headers, credentials, body: body && JSON.stringify(body) });
    const found = await answer.json();
    if (!answer.ok) throw new Refused(answer.status, found);
    return found;
  }
}

/* Links to the storefront, which is off in production unless it is turned on. */
import { html } from '../shared/html.js';
import { root } from '../shared/api.js';

const served = document.documentElement.dataset.storefront === 'on';

/** A link to the storefront, or to one product there; nothing if the storefront is off. */
export const StorefrontLink = ({ productId, text }) =>
  served && html`<a href="${root}demo${productId ? `/${productId}` : ''}">${text}</a>`;

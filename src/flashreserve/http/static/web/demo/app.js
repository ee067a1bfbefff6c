/* The storefront: the list of products, or one product, by the page's address. */
import { html, render } from '../shared/html.js';
import { root } from '../shared/api.js';
import { LiveRegion } from '../shared/live.js';
import { signOut, useCustomer } from './customer.js';
import { ListPage } from './list_page.js';
import { ProductPage } from './product_page.js';
import { askToSignIn } from './purchase.js';
import { frame } from './texts.js';
import { NetworkTrouble } from './trouble_switch.js';

/** The id of the product at a path; empty for the list. */
const productIdAt = (path) => decodeURIComponent(path.slice(`${root}demo/`.length)).toLowerCase();

function App() {
  const id = productIdAt(location.pathname);
  return html`
    <a class="skip" href="#main">${frame.skip}</a>
    <${Header} />
    ${id ? html`<${ProductPage} id=${id} />` : html`<${ListPage} />`}
    <footer class="foot">
      ${id && html`<${NetworkTrouble} />`}
      <p class="muted">${frame.about} <a href="${root}admin">${frame.console}</a></p>
    </footer>
    <${LiveRegion} />
  `;
}

function Header() {
  const customer = useCustomer();
  return html`<header class="top">
    <a class="name" href="${root}demo">${frame.name} <span>${frame.store}</span></a>
    <div class="account">
      ${
        customer
          ? html`<span class="email" title=${customer.email}>
              <span class="visually-hidden">${frame.signedInAs} </span>${customer.email}
            </span>
            <button type="button" onClick=${signOut}>${frame.signOut}</button>`
          : html`<button type="button" onClick=${() => askToSignIn('asked')}>${frame.signIn}</button>`
      }
    </div>
  </header>`;
}

render(html`<${App} />`, document.getElementById('app'));

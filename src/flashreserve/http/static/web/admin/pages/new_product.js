/* The form of a new product. */
import { html, useState } from '../../shared/html.js';
import { tell } from '../changes.js';
import { Field, FormFault, useForm } from '../fields.js';
import { Page } from '../page.js';
import { bodyOf, EMPTY, errorsOf, FIELDS } from '../product_form.js';
import { pageAddress, thingAddress } from '../router.js';
import { ask } from '../session.js';
import { StorefrontLink } from '../storefront.js';
import { common } from '../texts/common.js';
import { newProduct as texts, products } from '../texts/products.js';

/** The page that adds a product, and then links to it. */
export default function NewProduct() {
  const [added, setAdded] = useState(null);
  return html`<${Page} title=${texts.title} above=${[pageAddress('products'), products.title]}>
    ${
      added ? html`<${Added} product=${added} again=${() => setAdded(null)} />` : html`<${Form} onAdded=${setAdded} />`
    }
  <//>`;
}

function Form({ onAdded }) {
  const form = useForm(EMPTY);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    const errors = { ...errorsOf(form.values, FIELDS), ...form.halfTyped() };
    form.refuseFields(errors);
    if (Object.keys(errors).length > 0) return;
    setBusy(true);
    const answer = await ask('POST', 'products', { body: bodyOf(form.values) }).catch(() => undefined);
    setBusy(false);
    if (!answer?.ok) return form.refuse(answer, common.unknownOutcome);
    tell(texts.added(answer.data));
    onAdded(answer.data);
  };
  return html`<form ref=${form.form} onSubmit=${submit} novalidate>
    <div class="fields">${FIELDS.map((field) => html`<${Field} key=${field.name} ...${form.bind(field)} />`)}</div>
    <p>${texts.effect}</p>
    <${FormFault} text=${form.fault} />
    <div class="actions"><button type="submit" class="primary" aria-disabled=${busy}>${texts.submit}</button></div>
  </form>`;
}

function Added({ product, again }) {
  return html`<h2>${product.name}</h2>
    <ul class="links">
      <li><a href=${thingAddress('products', product.id)}>${texts.page}</a></li>
      <li><${StorefrontLink} productId=${product.id} text=${texts.storefront} /></li>
      <li><button type="button" onClick=${again}>${texts.another}</button></li>
    </ul>`;
}

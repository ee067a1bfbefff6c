/* A tile in place of a picture: the content policy allows no images of other hosts. */
import { html } from '../shared/html.js';

const HUES = { from: 225, width: 60 };

/** The tile of a product: its initial, on a colour that its id chooses. It says nothing that the name doesn't. */
export function Tile({ product, large = false }) {
  const hue = HUES.from + (parseInt(product.id.slice(-6), 16) % HUES.width);
  return html`<div class="tile ${large ? 'large' : ''}" style=${{ '--hue': hue }} aria-hidden="true">
    ${initialOf(product.name)}
  </div>`;
}

/** The first letter or digit of a name; if it has none, the first character as people see it, such as an emoji. */
export function initialOf(name) {
  const [letter] = name.match(/[\p{L}\p{N}]/u) ?? [];
  if (letter) return letter.toUpperCase();
  const [first] = new Intl.Segmenter().segment(name);
  return first.segment;
}

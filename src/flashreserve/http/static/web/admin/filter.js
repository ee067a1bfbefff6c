/* Filters of lists. They stand in the query of the page's address, so that a filtered list can be a bookmark. */
import { html, useEffect } from '../shared/html.js';
import { Field, useForm } from './fields.js';
import { instantOf, localText } from './instants.js';
import { go, pageAddress, usePlace } from './router.js';
import { common } from './texts/common.js';

/** A form whose values are the query of the address. Instants are in UTC there. */
export function Filter({ fields }) {
  const { path, query } = usePlace();
  const form = useForm(valuesIn(fields, query));
  useEffect(() => form.setValues(valuesIn(fields, query)), [JSON.stringify(query)]);
  const submit = (event) => {
    event.preventDefault();
    go(pageAddress(path, queryOf(fields, form.values)), { by: 'filter' });
  };
  const filtered = fields.some(({ name }) => query[name]);
  return html`<form class="filter" role="search" onSubmit=${submit} novalidate>
    <div class="fields">${fields.map((field) => html`<${Field} key=${field.name} ...${form.bind(field)} />`)}</div>
    <div class="actions">
      <button type="submit" class="primary">${common.search}</button>
      ${filtered && html`<a href=${pageAddress(path)}>${common.clear}</a>`}
    </div>
  </form>`;
}

const valuesIn = (fields, query) =>
  Object.fromEntries(
    fields.map(({ name, type }) => [name, type === 'instant' ? localText(query[name]) : (query[name] ?? '')]),
  );

const queryOf = (fields, values) =>
  Object.fromEntries(
    fields.map(({ name, type }) => [name, type === 'instant' ? instantOf(values[name]) : values[name].trim()]),
  );

/* Instants in forms: fields hold the visitor's local time, the API takes and gives UTC. */

const pad = (n) => String(n).padStart(2, '0');

/** The local time of an instant as a field of the type `datetime-local` has it; empty for none. */
export function localText(instant) {
  if (!instant) return '';
  const at = new Date(instant);
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  return `${day}T${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

/** The instant, in UTC, of a local time; null if it is empty or incomplete. */
export function instantOf(local) {
  const at = new Date(local || NaN);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}

/** An instant for people, in UTC. */
export const utcText = (instant) => instant.slice(0, 19).replace('T', ' ');

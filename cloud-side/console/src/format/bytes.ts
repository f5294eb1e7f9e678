/** Bytes for people, in the binary units that disks and journals are cut in. Exact numbers go into titles. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

export function bytes(value: number): string {
  if (!Number.isFinite(value) || value < 0) return '–';
  let unit = 0;
  let rest = value;
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  if (unit === 0) return `${value} B`;
  let text = rest.toFixed(rest < 10 ? 2 : rest < 100 ? 1 : 0);
  // Rounding must not make 1024 of a unit.
  if (Number(text) >= 1024 && unit < UNITS.length - 1) {
    unit += 1;
    text = '1.00';
  }
  return `${text} ${UNITS[unit]}`;
}

/** The exact number, grouped so that it can be read. */
export function exactBytes(value: number): string {
  return `${value.toLocaleString('en-US').replaceAll(',', '\u202f')} B`;
}

/** The text form of metrics, as far as pages need it. Pure. */

export interface MetricSample {
  labels: Record<string, string>;
  value: number;
}

const ESCAPES: Record<string, string> = { '\\\\': '\\', '\\"': '"', '\\n': '\n' };

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name = '', value = ''] of text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g))
    labels[name] = value.replace(/\\[\\"n]/g, (pair) => ESCAPES[pair] ?? pair);
  return labels;
}

/** The samples of one metric, in the order of the text. */
export function samplesOf(text: string, name: string): MetricSample[] {
  const found: MetricSample[] = [];
  for (const line of text.split('\n')) {
    if (!line.startsWith(name)) continue;
    const rest = line.slice(name.length);
    const parts = /^(?:\{(.*)\})? ([^ ]+)(?: \d+)?$/.exec(rest);
    const value = Number(parts?.[2]);
    if (parts && !Number.isNaN(value)) found.push({ labels: labelsOf(parts[1] ?? ''), value });
  }
  return found;
}

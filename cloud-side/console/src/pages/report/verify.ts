/**
 * Checks a report's signature in this browser. It shows that the report was signed by the key that this server
 * shows; that the key is the right one only somebody knows who was given it on another way.
 */
import type { SignedReport } from './document';

export type Verdict =
  /** Signed by the key that the server shows. */
  | 'signed'
  /** The signature does not fit the report. */
  | 'broken'
  /** Another key than the server's signed it. */
  | 'other_key'
  /** This browser cannot check it. */
  | 'unchecked';

/** What `serde_json` escapes, and nothing else. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/\\ud[89ab][0-9a-f]{2}|\\ud[c-f][0-9a-f]{2}/gi, (lone) => {
    throw new Error(`${lone} is no character`);
  });
}

function byBytes(one: string, other: string): number {
  const [a, b] = [new TextEncoder().encode(one), new TextEncoder().encode(other)];
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** The canonical form: names sorted by their bytes, no white space, whole numbers. Throws for what has none. */
export function canonical(value: unknown): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') {
    // Beyond this the number that was read may not be the one that was signed.
    if (!Number.isSafeInteger(value))
      throw new Error(`${value} is not a whole number that can be held exactly`);
    return String(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value).sort(([one], [other]) => byBytes(one, other));
    return `{${entries.map(([name, member]) => `${quoted(name)}:${canonical(member)}`).join(',')}}`;
  }
  throw new Error(`${typeof value} is not JSON`);
}

function fromHex(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^(?:[0-9a-f]{2})+$/.test(text)) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export async function verify(signed: SignedReport, serverKey: string): Promise<Verdict> {
  const { key, value, algorithm } = signed.signature;
  if (algorithm !== 'ed25519') return 'unchecked';
  const [keyBytes, signature] = [fromHex(key), fromHex(value)];
  if (keyBytes?.length !== 32 || signature?.length !== 64) return 'broken';
  let text: string;
  try {
    text = `bcdr report v1\n${canonical(signed.report)}`;
  } catch {
    return 'unchecked';
  }
  let valid: boolean;
  try {
    const made = await crypto.subtle.importKey('raw', keyBytes, 'Ed25519', false, ['verify']);
    valid = await crypto.subtle.verify('Ed25519', made, signature, new TextEncoder().encode(text));
  } catch {
    // Older browsers know no Ed25519, and pages without TLS have no cryptography at all.
    return 'unchecked';
  }
  if (!valid) return 'broken';
  return key === serverKey ? 'signed' : 'other_key';
}

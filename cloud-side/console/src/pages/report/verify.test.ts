import { generateKeyPairSync, sign } from 'node:crypto';
import { expect, it } from 'vitest';
import type { SignedReport } from './document';
import { canonical, verify } from './verify';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const key = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');

function signed(report: object): SignedReport {
  const text = `bcdr report v1\n${canonical(report)}`;
  const value = sign(null, Buffer.from(text), privateKey).toString('hex');
  return { report, signature: { algorithm: 'ed25519', key, value } } as unknown as SignedReport;
}

it('has one form for a document, whatever its order and white space', () => {
  expect(canonical(JSON.parse('{ "b": [1, null, true], "a": "x\\n\\"" }'))).toBe(
    '{"a":"x\\n\\"","b":[1,null,true]}',
  );
  expect(canonical({ é: 1, z: 2 })).toBe('{"z":2,"é":1}');
});

it('has no form for what may have been read wrongly', () => {
  expect(() => canonical(0.5)).toThrow();
  expect(() => canonical(2 ** 53)).toThrow();
});

it('finds that a signature holds, and that it does not', async () => {
  const good = signed({ number: 1, content: { result: 'failed' } });
  expect(await verify(good, key)).toBe('signed');
  const edited = { ...good, report: { number: 1, content: { result: 'passed' } } } as unknown as SignedReport;
  expect(await verify(edited, key)).toBe('broken');
  expect(await verify(good, '00'.repeat(32))).toBe('other_key');
});

it('does not call checked what it could not check', async () => {
  const good = signed({ number: 1 });
  expect(await verify({ ...good, signature: { ...good.signature, algorithm: 'other' } }, key)).toBe(
    'unchecked',
  );
  expect(await verify({ ...good, signature: { ...good.signature, value: 'zz' } }, key)).toBe('broken');
});

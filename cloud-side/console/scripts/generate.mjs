// Makes src/api/schema.ts from the checked-in OpenAPI document. With --check it changes nothing and fails
// when the file is not what the document says.
import { readFile, writeFile } from 'node:fs/promises';
import openapiTS, { astToString } from 'openapi-typescript';

const document = new URL('../../openapi.json', import.meta.url);
const file = new URL('../src/api/schema.ts', import.meta.url);

const head = '// Made by `npm run generate` from cloud-side/openapi.json. Not edited by hand.\n\n';
const made = head + astToString(await openapiTS(document, { alphabetize: true, defaultNonNullable: false }));

if (process.argv.includes('--check')) {
  const kept = await readFile(file, 'utf8').catch(() => '');
  if (kept !== made) {
    console.error('src/api/schema.ts is not what cloud-side/openapi.json says: run `npm run generate`');
    process.exit(1);
  }
} else {
  await writeFile(file, made);
}

// Makes src/api/schema.ts and src/api/access.ts from the checked-in OpenAPI document. With --check it changes nothing
// and fails when a file is not what the document says.
import { readFile, writeFile } from 'node:fs/promises';
import openapiTS, { astToString } from 'openapi-typescript';

const source = new URL('../../openapi.json', import.meta.url);
const head = '// Made by `npm run generate` from cloud-side/openapi.json. Not edited by hand.\n\n';

const schema = async () =>
  head + astToString(await openapiTS(source, { alphabetize: true, defaultNonNullable: false }));

/** What `x-access` says, which is no part of what the types are made from. */
async function access() {
  const { paths, components } = JSON.parse(await readFile(source, 'utf8'));
  const needs = {};
  const roles = {};
  for (const item of Object.values(paths)) {
    for (const { operationId, 'x-access': needed } of Object.values(item)) {
      if (!needed?.permission) continue;
      needs[operationId] = needed.permission;
      roles[needed.permission] = needed.roles;
    }
  }
  const table = (name, what, entries, order, write) =>
    `/** ${what} */\nexport const ${name} = {\n${order
      .map((key) => `  ${key}: ${write(entries[key])},\n`)
      .join('')}} as const`;
  const quoted = (text) => `'${text}'`;
  return `${head}import type { Permission, Role } from './types';

${table('NEEDS', 'The permission that each operation needs.', needs, Object.keys(needs).sort(), quoted)} satisfies Record<string, Permission>;

${table('ROLES', 'The roles that have each permission.', roles, components.schemas.Permission.enum, (list) => `[${list.map(quoted).join(', ')}]`)} satisfies Record<Permission, Role[]>;

export type Operation = keyof typeof NEEDS;
`;
}

for (const [name, make] of Object.entries({ schema, access })) {
  const file = new URL(`../src/api/${name}.ts`, import.meta.url);
  const made = await make();
  if (!process.argv.includes('--check')) {
    await writeFile(file, made);
  } else if (made !== (await readFile(file, 'utf8').catch(() => ''))) {
    console.error(`src/api/${name}.ts is not what cloud-side/openapi.json says: run \`npm run generate\``);
    process.exitCode = 1;
  }
}

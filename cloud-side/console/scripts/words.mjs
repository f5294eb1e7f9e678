// The console's own words, so that a script says in either language what somebody would look for.
import { readdir, readFile } from 'node:fs/promises';
import ts from 'typescript';

const folder = new URL('../src/words/', import.meta.url);

async function catalogue(language) {
  const own = new URL(`${language}/`, folder);
  const words = {};
  for (const file of await readdir(own)) {
    const { outputText } = ts.transpileModule(await readFile(new URL(file, own), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    const part = await import(`data:text/javascript;charset=utf-8,${encodeURIComponent(outputText)}`);
    Object.assign(words, ...Object.values(part));
  }
  return words;
}

const catalogues = { en: await catalogue('en'), zh: await catalogue('zh') };

/** The words for a key, with values where they are named in braces. */
export function say(language, key, values = {}) {
  const text = catalogues[language]?.[key];
  if (text === undefined) throw new Error(`the console has no words for ${key} (${language})`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** All keys there are. */
export const KEYS = Object.keys(catalogues.en);

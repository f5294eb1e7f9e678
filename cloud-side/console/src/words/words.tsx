/** The language of the page: English or Chinese, remembered by the browser. */
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from 'react';
import { span, took, UNIT_NAMES, wholeSpan } from '../format/spans';
import type { StateKind, StateOf } from '../states/tones';
import { en, type Key } from './en';
import { zh } from './zh';

export type Language = 'en' | 'zh';
export type { Key };
export type Values = Record<string, string | number>;
export type Translate = (key: Key, values?: Values) => string;

export const CATALOGUES: Record<Language, Record<Key, string>> = { en, zh };

/** Puts values where the text names them in braces. */
export function fill(text: string, values: Values = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}

interface Words {
  language: Language;
  setLanguage: (language: Language) => void;
  t: Translate;
  /** The words of a state; the API's own name for one that this console never heard of. */
  state: <Kind extends StateKind>(kind: Kind, value: StateOf<Kind>) => string;
  /** The words for a code, if there are any. */
  known: (prefix: string, code: string) => string | null;
  /** Lengths of time, see `format/spans`. */
  span: (seconds: number) => string;
  wholeSpan: (seconds: number) => string;
  took: (seconds: number) => string;
}

const PLACE = 'bcdr.language';

function preferred(): Language {
  const kept = localStorage.getItem(PLACE);
  if (kept === 'en' || kept === 'zh') return kept;
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

const Context = createContext<Words | null>(null);

export function WordsProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState<Language>(preferred);
  useEffect(() => {
    localStorage.setItem(PLACE, language);
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  }, [language]);
  const words = useMemo<Words>(() => {
    const catalogue = CATALOGUES[language];
    const known = (prefix: string, code: string) =>
      (catalogue as Record<string, string | undefined>)[`${prefix}.${code}`] ?? null;
    return {
      language,
      setLanguage,
      t: (key, values) => fill(catalogue[key], values),
      state: (kind, value) => known(`state.${kind}`, value) ?? value,
      known,
      span: (seconds) => span(seconds, UNIT_NAMES[language]),
      wholeSpan: (seconds) => wholeSpan(seconds, UNIT_NAMES[language]),
      took: (seconds) => took(seconds, UNIT_NAMES[language]),
    };
  }, [language]);
  return <Context value={words}>{children}</Context>;
}

export function useWords(): Words {
  const words = useContext(Context);
  if (!words) throw new Error('words are used outside of their provider');
  return words;
}

/** The document of a plan as the editor and the graph need it, and what the server says about it. Pure. */
import type { Problem } from '../api/types';
import { brokenAt } from '../format/json';

export type StepKind = 'group' | 'wait' | 'approval';

/** The kinds that the form has fields for; others are edited as text. */
export const FORM_KINDS: readonly StepKind[] = ['group', 'wait', 'approval'];

export interface PlanStep {
  id: string;
  after?: string[];
  critical?: boolean;
  priority?: number;
  do: Record<string, Record<string, unknown>>;
}

export interface PlanText {
  name: string;
  description?: string;
  at_once?: number;
  steps: PlanStep[];
}

/** Something that is wrong with a plan, beside the line of the text that it is about. */
export interface Fault {
  line: number | null;
  step: string | null;
  text: string;
}

export function kindOf(step: Pick<PlanStep, 'do'>): string {
  return Object.keys(step.do ?? {})[0] ?? '';
}

/** What a step is about, in a few words: a group, a question, a length of time, or nothing that is known here. */
export function aboutOf(step: Pick<PlanStep, 'do'>): string {
  const kind = kindOf(step);
  const inside = step.do?.[kind] ?? {};
  const said = kind === 'group' ? inside.name : kind === 'approval' ? inside.message : inside.seconds;
  return typeof said === 'string' || typeof said === 'number' ? String(said) : '';
}

/** The text as lines of JSON: what the API takes. */
export function write(document: PlanText): string {
  return JSON.stringify(document, null, 2);
}

function lineAt(text: string, position: number): number {
  return text.slice(0, position).split('\n').length;
}

/** The document that a text holds, as far as the form and the graph need it; or the fault that is in the way. */
export function read(text: string): { document: PlanText } | { fault: Fault } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const line = lineAt(text, brokenAt(text) ?? text.length);
    return { fault: { line, step: null, text: said } };
  }
  const { name, steps } = (value ?? {}) as Partial<PlanText>;
  const isStep = (step: unknown): step is PlanStep => {
    const { id, after, do: what } = (step ?? {}) as Partial<PlanStep>;
    return (
      typeof id === 'string' &&
      (after === undefined || (Array.isArray(after) && after.every((one) => typeof one === 'string'))) &&
      typeof what === 'object' &&
      what !== null &&
      Object.values(what).every((inside) => typeof inside === 'object' && inside !== null)
    );
  };
  if (typeof name !== 'string' || !Array.isArray(steps) || !steps.every(isStep))
    return { fault: { line: null, step: null, text: 'name, or steps with id and do, are missing' } };
  return { document: value as PlanText };
}

/** The line on which a step's id is written. */
export function lineOfStep(text: string, step: string): number | null {
  const found = text.search(new RegExp(`"id"\\s*:\\s*${escaped(JSON.stringify(step))}`));
  return found < 0 ? null : lineAt(text, found);
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** The faults that a refusal of the server tells: one by one, each with its step or its line. */
export function faultsOf(problem: Problem | null, text: string): Fault[] {
  if (!problem) return [];
  const told = problem.cause ?? problem.detail;
  if (problem.code === 'plan_faults') {
    return told.split(' | ').map((one) => {
      const step = /^step ([^:]+): /.exec(one)?.[1] ?? null;
      return { step, line: step === null ? null : lineOfStep(text, step), text: one };
    });
  }
  const line = /at line (\d+) column \d+/.exec(told)?.[1];
  return line === undefined ? [] : [{ step: null, line: Number(line), text: told }];
}

interface Node {
  id: string;
  after: string[];
}

export interface Placed {
  id: string;
  /** How many steps one after the other come before it, at most. */
  depth: number;
  /** Its place among those of the same depth. */
  row: number;
}

/** Where steps stand in a graph; null when they wait for each other. */
export function layout(steps: Node[]): Placed[] | null {
  const known = new Map(steps.map((step) => [step.id, step]));
  const depths = new Map<string, number>();
  const rows = new Map<number, number>();
  const depthOf = (step: Node, under: ReadonlySet<string>): number | null => {
    const done = depths.get(step.id);
    if (done !== undefined) return done;
    if (under.has(step.id)) return null;
    let depth = 0;
    for (const name of step.after) {
      const before = known.get(name);
      if (!before) continue;
      const found = depthOf(before, new Set(under).add(step.id));
      if (found === null) return null;
      depth = Math.max(depth, found + 1);
    }
    depths.set(step.id, depth);
    return depth;
  };
  const placed: Placed[] = [];
  for (const step of steps) {
    const depth = depthOf(step, new Set());
    if (depth === null) return null;
    const row = rows.get(depth) ?? 0;
    rows.set(depth, row + 1);
    placed.push({ id: step.id, depth, row });
  }
  return placed;
}

/** A new id that no step has. */
export function freshId(steps: PlanStep[], kind: string): string {
  const taken = new Set(steps.map((step) => step.id));
  for (let number = 1; ; number += 1) {
    const id = number === 1 ? kind : `${kind}-${number}`;
    if (!taken.has(id)) return id;
  }
}

export function freshStep(steps: PlanStep[], kind: StepKind): PlanStep {
  const last = steps.at(-1);
  const inside = kind === 'group' ? { name: '' } : kind === 'wait' ? { seconds: 30 } : { message: '' };
  return { id: freshId(steps, kind), after: last ? [last.id] : [], do: { [kind]: inside } };
}

/** Gives a step another id, also where others come after it. */
export function rename(steps: PlanStep[], from: string, to: string): PlanStep[] {
  return steps.map((step) => ({
    ...step,
    id: step.id === from ? to : step.id,
    ...(step.after ? { after: step.after.map((name) => (name === from ? to : name)) } : {}),
  }));
}

/** Takes a step out; who came after it comes after what it came after. */
export function without(steps: PlanStep[], id: string): PlanStep[] {
  const gone = steps.find((step) => step.id === id);
  return steps
    .filter((step) => step !== gone)
    .map((step) =>
      step.after?.includes(id)
        ? {
            ...step,
            after: [...new Set(step.after.flatMap((name) => (name === id ? (gone?.after ?? []) : [name])))],
          }
        : step,
    );
}

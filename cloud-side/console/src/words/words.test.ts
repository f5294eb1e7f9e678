import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { OUTCOMES } from '../states/audit';
import { TONES } from '../states/tones';
import { en } from './en';
import { fill } from './words';
import { zh } from './zh';

const english: Record<string, string> = en;
const chinese: Record<string, string> = zh;
const holes = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort();

/** The values of an enum of the API's document. */
const document = JSON.parse(readFileSync(new URL('../../../openapi.json', import.meta.url), 'utf8'));
function valuesOf(schema: string): string[] {
  const found = document.components.schemas[schema];
  if (!Array.isArray(found?.enum)) throw new Error(`${schema} is no enum of the document`);
  return found.enum;
}

describe('the catalogues', () => {
  it('have the same keys', () => {
    expect(Object.keys(chinese).sort()).toEqual(Object.keys(english).sort());
  });

  it('have no empty text', () => {
    for (const [key, text] of [...Object.entries(english), ...Object.entries(chinese)]) {
      expect(text.trim(), key).not.toBe('');
    }
  });

  it('name the same values', () => {
    for (const [key, text] of Object.entries(english))
      expect(holes(chinese[key] ?? ''), key).toEqual(holes(text));
  });

  it('are translated', () => {
    const han = /\p{Script=Han}/u;
    // Names that are the same everywhere.
    const same = new Set(['access.and', 'groups.rpo', 'recent.rpo', 'check.fstab', 'check.windows']);
    for (const [key, text] of Object.entries(chinese))
      if (!same.has(key)) expect(han.test(text), key).toBe(true);
    for (const [key, text] of Object.entries(english)) expect(han.test(text), key).toBe(false);
  });
});

describe('the states of the API', () => {
  /** Which enum of the document each kind of state is. */
  const enums: Record<keyof typeof TONES, string> = {
    health: 'HealthLevel',
    replication: 'ReplicationState',
    placement: 'PlacementState',
    drillAxis: 'DrillAxisState',
    drill: 'DrillState',
    job: 'JobState',
    readiness: 'Readiness',
    readinessVerdict: 'ReadinessVerdict',
    rungVerdict: 'RungVerdict',
    precheckVerdict: 'PrecheckVerdict',
    isolation: 'IsolationVerdict',
    phaseOutcome: 'PhaseOutcome',
    stepOutcome: 'StepOutcome',
    stage: 'Stage',
    failoverEnd: 'FailoverEnd',
    failbackEnd: 'FailbackEnd',
    restoreEnd: 'RestoreEnd',
    serving: 'SourceServing',
    branch: 'BranchState',
    planRun: 'PlanRunState',
    planStep: 'PlanStepState',
    planCheck: 'PlanCheckVerdict',
    view: 'ViewState',
    alert: 'AlertState',
    severity: 'AlertSeverity',
    delivery: 'AlertDeliveryState',
  };

  for (const [kind, schema] of Object.entries(enums)) {
    it(`${schema} has a colour and words for each value, and for no other`, () => {
      const values = valuesOf(schema).sort();
      expect(Object.keys(TONES[kind as keyof typeof TONES]).sort()).toEqual(values);
      for (const value of values) {
        expect(english, schema).toHaveProperty([`state.${kind}.${value}`]);
        expect(chinese, schema).toHaveProperty([`state.${kind}.${value}`]);
      }
    });
  }

  const words: Record<string, string[]> = {
    Step: ['step.{}', 'step.{}.what'],
    Rung: ['rung.{}'],
    Phase: ['phase.{}'],
    JobKind: ['kind.{}'],
    PointKind: ['pointKind.{}'],
    Seed: ['seed.{}', 'seed.{}.what'],
    SeedMethod: ['method.{}'],
    FailoverMode: ['mode.{}', 'failover.mode.{}', 'failover.mode.{}.what'],
    PlacementState: ['place.{}.what'],
    SourceDuty: ['duty.{}'],
    BranchReason: ['branchReason.{}', 'branches.remove.{}'],
    PlanMode: ['planMode.{}', 'plan.mode.{}', 'plan.mode.{}.what'],
    Site: ['site.{}', 'keep.{}.do', 'keep.{}.title'],
    SplitReason: ['split.reason.{}'],
    UnknownLoss: ['loss.unknown.{}'],
    ReadinessCheckCode: ['check.{}'],
    Role: ['role.{}'],
    Permission: ['permission.{}'],
    AlertSeverity: ['channels.hears.{}'],
    PrincipalKind: ['access.kind.{}'],
    AlertMuteScope: ['muteScope.{}', 'muteScope.{}.what'],
  };
  for (const [schema, patterns] of Object.entries(words)) {
    it(`${schema} has words for each value`, () => {
      for (const value of valuesOf(schema)) {
        for (const pattern of patterns) expect(english).toHaveProperty([pattern.replace('{}', value)]);
      }
    });
  }

  it('each code of alerts has words', () => {
    const told = readFileSync(new URL('../../../../docs/operate/alerts.md', import.meta.url), 'utf8');
    const codes = [...told.matchAll(/^### ([a-z]+(?:_[a-z]+)*)$/gm)].map((found) => found[1]);
    expect(codes.length).toBeGreaterThan(10);
    for (const code of codes) {
      for (const prefix of ['alertCode', 'alertCause', 'alertRemedy'])
        expect(english).toHaveProperty([`${prefix}.${code}`]);
    }
    const worded = Object.keys(english).filter((key) => key.startsWith('alertCode.'));
    expect(worded.map((key) => key.slice('alertCode.'.length)).sort()).toEqual(codes.sort());
  });

  it('everything that changes something has words in the audit log', () => {
    const changing = Object.values(document.paths).flatMap((item) =>
      Object.entries(item as Record<string, { operationId: string }>)
        .filter(([method]) => ['post', 'put', 'patch', 'delete'].includes(method))
        .map(([, { operationId }]) => operationId),
    );
    expect(changing.length).toBeGreaterThan(40);
    for (const operation of changing) expect(english).toHaveProperty([`auditAction.${operation}`]);
  });

  it('each outcome in the audit log has words', () => {
    for (const outcome of OUTCOMES) expect(english).toHaveProperty([`auditOutcome.${outcome}`]);
  });

  it('what is not known is never green', () => {
    for (const [kind, tones] of Object.entries(TONES)) {
      for (const [value, tone] of Object.entries(tones)) {
        if (/unknown|not_run|disconnected|stalled|failed|not_/.test(value)) {
          expect(tone, `${kind} ${value}`).not.toBe('good');
        }
      }
    }
  });
});

describe('fill', () => {
  it('puts values in their place and leaves what it was not given', () => {
    expect(fill('{a} of {b}, {a}', { a: 1, b: 'two' })).toBe('1 of two, 1');
    expect(fill('{a}', {})).toBe('{a}');
  });
});

/** The names of the document, without the path to them. */
import type { components } from './schema';

type Schemas = components['schemas'];

export type Action = Schemas['Action'];
export type Alert = Schemas['Alert'];
export type AlertChannel = Schemas['AlertChannel'];
export type AlertDelivery = Schemas['AlertDelivery'];
export type AlertDeliveryState = Schemas['AlertDeliveryState'];
export type AlertDetail = Schemas['AlertDetail'];
export type AlertEntry = Schemas['AlertEntry'];
export type AlertMuteScope = Schemas['AlertMuteScope'];
export type AlertSeverity = Schemas['AlertSeverity'];
export type AlertState = Schemas['AlertState'];
export type AuditEntry = Schemas['AuditEntry'];
export type AuditHead = Schemas['AuditHead'];
export type Branch = Schemas['Branch'];
export type BranchReason = Schemas['BranchReason'];
export type BranchState = Schemas['BranchState'];
export type CanaryReport = Schemas['CanaryReport'];
export type CaptureBody = Schemas['CaptureBody'];
export type CommitPolicy = Schemas['CommitPolicy'];
export type ConfirmedDisk = Schemas['ConfirmedDisk'];
export type Drill = Schemas['Drill'];
export type DrillAxisState = Schemas['DrillAxisState'];
export type DrillProgress = Schemas['DrillProgress'];
export type DrillReport = Schemas['DrillReport'];
export type DrillSchedule = Schemas['DrillSchedule'];
export type DrillState = Schemas['DrillState'];
export type EvidenceFile = Schemas['EvidenceFile'];
export type Failback = Schemas['Failback'];
export type FailbackEnd = Schemas['FailbackEnd'];
export type Failover = Schemas['Failover'];
export type FailoverEnd = Schemas['FailoverEnd'];
export type FailoverLadder = Schemas['FailoverLadder'];
export type FailoverMode = Schemas['FailoverMode'];
export type FailoverPreview = Schemas['FailoverPreview'];
export type Failure = Schemas['Failure'];
export type Group = Schemas['Group'];
export type GroupVolume = Schemas['GroupVolume'];
export type Health = Schemas['Health'];
export type HealthLevel = Schemas['HealthLevel'];
export type HealthReason = Schemas['HealthReason'];
export type HomeDisk = Schemas['HomeDisk'];
export type IsolationVerdict = Schemas['IsolationVerdict'];
export type Job = Schemas['Job'];
export type JobKind = Schemas['JobKind'];
export type JobState = Schemas['JobState'];
export type LaunchSettings = Schemas['LaunchSettings'];
export type Loss = Schemas['Loss'];
export type LossWindow = Schemas['LossWindow'];
export type MadeToken = Schemas['MadeToken'];
export type NewDrill = Schemas['NewDrill'];
export type NewFailback = Schemas['NewFailback'];
export type NewFailover = Schemas['NewFailover'];
export type NewPlanRun = Schemas['NewPlanRun'];
export type NewRestore = Schemas['NewRestore'];
export type NewSchedule = Schemas['NewSchedule'];
export type Permission = Schemas['Permission'];
export type Phase = Schemas['Phase'];
export type PhaseOutcome = Schemas['PhaseOutcome'];
export type PhaseReport = Schemas['PhaseReport'];
export type Placement = Schemas['Placement'];
export type PlacementState = Schemas['PlacementState'];
export type PlacementStep = Schemas['PlacementStep'];
export type Plan = Schemas['Plan'];
export type PlanCheck = Schemas['PlanCheck'];
export type PlanCheckItem = Schemas['PlanCheckItem'];
export type PlanCheckVerdict = Schemas['PlanCheckVerdict'];
export type PlanDecision = Schemas['PlanDecision'];
export type PlanForecast = Schemas['PlanForecast'];
export type PlanForecastStep = Schemas['PlanForecastStep'];
export type PlanMode = Schemas['PlanMode'];
export type PlanPoint = Schemas['PlanPoint'];
export type PlanRun = Schemas['PlanRun'];
export type PlanRunState = Schemas['PlanRunState'];
export type PlanRunStep = Schemas['PlanRunStep'];
export type PlanStepState = Schemas['PlanStepState'];
export type Point = Schemas['Point'];
export type PointChoice = Schemas['PointChoice'];
export type PointKind = Schemas['PointKind'];
export type PointReadiness = Schemas['PointReadiness'];
export type Positions = Schemas['Positions'];
export type PrecheckVerdict = Schemas['PrecheckVerdict'];
export type Problem = Schemas['Problem'];
export type Readiness = Schemas['Readiness'];
export type ReadinessCheckCode = Schemas['ReadinessCheckCode'];
export type ReadinessVerdict = Schemas['ReadinessVerdict'];
export type Replication = Schemas['Replication'];
export type ReplicationState = Schemas['ReplicationState'];
export type Report = Schemas['Report'];
export type ReportKey = Schemas['ReportKey'];
export type Restore = Schemas['Restore'];
export type RestoreEnd = Schemas['RestoreEnd'];
export type RestorePreview = Schemas['RestorePreview'];
export type RestoreProgress = Schemas['RestoreProgress'];
export type Role = Schemas['Role'];
export type Rung = Schemas['Rung'];
export type RungPatterns = Schemas['RungPatterns'];
export type RungResult = Schemas['RungResult'];
export type RungVerdict = Schemas['RungVerdict'];
export type Seed = Schemas['Seed'];
export type SeedMethod = Schemas['SeedMethod'];
export type Samples = Schemas['Samples'];
export type Session = Schemas['Session'];
export type Site = Schemas['Site'];
export type SourceDuty = Schemas['SourceDuty'];
export type SourceServing = Schemas['SourceServing'];
export type SourceStanding = Schemas['SourceStanding'];
export type SplitReason = Schemas['SplitReason'];
export type Stage = Schemas['Stage'];
export type Step = Schemas['Step'];
export type StepOutcome = Schemas['StepOutcome'];
export type System = Schemas['System'];
export type Token = Schemas['Token'];
export type UnknownLoss = Schemas['UnknownLoss'];
export type User = Schemas['User'];
export type View = Schemas['View'];
export type ViewState = Schemas['ViewState'];
export type Volume = Schemas['Volume'];

/** A page of any list. */
export interface Page<Item> {
  items: Item[];
  next_cursor?: string | null;
}

/** A port of the host that leads to a port of the machine. */
export interface PortForward {
  host_address?: string;
  host_port: number;
  machine_port: number;
}

/** A network card of a failover's machine. The document calls it an object only; this is its form. */
export interface NetworkCard {
  address?: string | null;
  connection: 'isolated' | { host_nat: { forward: PortForward[] } };
}

/**
 * varve: a feature store for TypeScript. Shape features with a fluent dataframe, preview them, publish them;
 * train on them point-in-time correct; serve the same numbers.
 * @module
 */

// Readers of frames find their engine; it is loaded by the first of them.
import "./engine/install.ts";
import "./preview_windows.ts";
import "./view_profiles.ts";
// What notebooks show of frames and definitions.
import "./notebook/render.ts";

// How things show themselves
export { Displayed } from "./display.ts";
export type { MimeBundle, Rendering } from "./display.ts";
export { RowsShown, table } from "./notebook/table.ts";
export type { DataFrameLike } from "./notebook/data_frame.ts";

// Errors
export { errorCodes, messageOf, throwIssues, VarveError } from "./errors.ts";
export type { ErrorCode, Issue, VarveErrorOptions } from "./errors.ts";

// Time
export {
  durationToMicros,
  effectiveMicros,
  formatDuration,
  formatRange,
  formatTimestamp,
  ManualClock,
  systemClock,
  timeRange,
  Timestamp,
  toMicros,
} from "./time.ts";
export type { Clock, Duration, Micros, TimeRange, TimestampLike } from "./time.ts";

// Types of columns
export { formatType, nameProblem } from "./schema.ts";
export type {
  DataType,
  Field,
  ListType,
  Row,
  RowOf,
  ScalarType,
  Schema,
  SchemaTypes,
  StructType,
  ValueOf,
} from "./schema.ts";

// Frames: what to do, as data
export { Frame, GroupedFrame } from "./frame/frame.ts";
export type { AsOfJoinOptions, JoinOptions, SampleSize } from "./frame/frame.ts";
export { FramePlots, Plot } from "./frame/plots.ts";
export type { MarkOptions, PlotOptions } from "./frame/plots.ts";
export { KeyedFrame } from "./frame/keyed_frame.ts";
export type { KeyedEntity } from "./frame/keyed_frame.ts";
export { csv, fromArrow, fromPolars, fromRows, json, ndjson, parquet, sql, storedRows } from "./frame/sources.ts";
export type { CsvOptions, Paths, SourceOptions } from "./frame/sources.ts";
export { descending } from "./frame/steps.ts";
export { setWarningHook } from "./frame/runtime.ts";
export type {
  ArrowTable,
  Batch,
  BatchColumn,
  DataFrame,
  ReadOptions,
  ToParquetOptions,
  WrittenFile,
} from "./frame/runtime.ts";
export type { DescribedColumn } from "./frame/describe.ts";

// Expressions over the columns of one row
export { col, Expr, lit } from "./frame/expr.ts";
export { requestTimestamp } from "./frame/request_time.ts";
export type { CastOptions, Operand } from "./frame/expr.ts";
export {
  allOf,
  anyOf,
  atan2,
  coalesce,
  concat,
  greatest,
  hash,
  least,
  list as listOf,
  struct,
  when,
} from "./frame/expr_functions.ts";

// Aggregates of a group
export {
  Aggregate,
  all,
  any,
  approxCountDistinct,
  approxPercentile,
  count,
  countDistinct,
  custom,
  first,
  firstDistinct,
  histogram,
  kurtosis,
  last,
  lastDistinct,
  list,
  max,
  maxBy,
  mean,
  median,
  min,
  minBy,
  quantile,
  skew,
  stddevPop,
  stddevSamp,
  sum,
  topK,
  valueCounts,
  varPop,
  varSamp,
} from "./frame/aggregates.ts";
export type { ColumnInput, CustomOptions, OrderOptions } from "./frame/aggregates.ts";

// Aggregates over windows
export { WindowedFrame } from "./frame/windowed_frame.ts";
export type { KeyRow, WindowPreviewOptions } from "./frame/windowed_frame.ts";
export { series } from "./frame/windows.ts";
export type { AggregateOptions, OffsetWindow, SeriesOptions, SeriesWindow, WindowInput } from "./frame/window_types.ts";
export { registerAggregation } from "./window/aggregators/user_defined.ts";
export type { AggregatorInputs, UserAggregation } from "./window/aggregators/user_defined.ts";
export type { Aggregator, GroupKeys, Slot, SlotColumn, States } from "./window/aggregator.ts";
export type { UserWindowFunction } from "./frame/window_functions.ts";

// Nouns: what is published
export { Entity, entity } from "./define/entity.ts";
export { FeatureView, view } from "./define/view.ts";
export { RealtimeView, realtimeView } from "./define/realtime_view.ts";
export type { RealtimeFunctionOptions, RealtimeOptions } from "./define/realtime_types.ts";
export type { FunctionSettings } from "./sandbox/runner_options.ts";
export type { FeatureOptions, ViewOptions } from "./define/view_types.ts";
export type { ProfileTarget } from "./define/view.ts";
export { ProfilePlots, ViewProfile } from "./define/view_profile.ts";
export type {
  FeatureProfile,
  ProfileEntity,
  ProfileFacts,
  ProfileInterval,
  ProfileOptions,
} from "./define/view_profile.ts";
export type { ColumnProfile, ProfileBin, ProfileQuantiles, ProfileRow, ProfileValue } from "./frame/column_profile.ts";
export { ViewSelection } from "./define/selection.ts";
export { FeatureService, service } from "./define/service.ts";
export { DefinitionSource } from "./define/source/definition_source.ts";
export type { ModuleOptions } from "./define/source/module_source.ts";
export { parseDefinition } from "./define/parse.ts";
export type {
  Definition,
  EntityDefinition,
  FeatureDefinition,
  RealtimeViewDefinition,
  ServiceDefinition,
  ViewDefinition,
} from "./define/definitions.ts";

// The store
export { connect } from "./connect.ts";
export type { ConnectOptions } from "./connect.ts";
export type { Places, S3Settings } from "./places.ts";
export { Store } from "./store.ts";
export type { Publishable } from "./store_publishable.ts";
export type {
  AnswerOf,
  FeatureNameOf,
  FieldsOf,
  KeyedFeatures,
  KeysOf,
  MaterializeOptions,
  OnlineArguments,
  OnlineDetails,
  OnlineOptions,
  PlanStoreOptions,
  PreviewStoreOptions,
  PublishFrameOptions,
  ReadRangeOptions,
  RetrainOptions,
  SpineRow,
} from "./store_types.ts";
export { StorePlan } from "./store_plan.ts";
export type { Applied, ApplyPlanOptions } from "./store_plan.ts";
export type { WaitOptions } from "./store_jobs.ts";
export type { DoneView } from "./store_tally.ts";
export { ReadResult } from "./store_result.ts";
export type {
  FailedJob,
  OnlineStatus,
  RealtimeViewStatus,
  StoreStatus,
  VersionStatus,
  ViewStatus,
} from "./store_status.ts";
export { Explanation } from "./explanation.ts";
export type { ExplainedFeature, ExplainedRow, ExplainedRows } from "./explanation.ts";
export type { ExplainOptions } from "./store_explain.ts";
export type { FeatureLeak, LeakExample, LeakOptions, LeakReport } from "./store_leaks.ts";
export type { AuditExample, AuditReport, FeatureAudit } from "./audit_report.ts";
export type { AuditOptions } from "./store_audit.ts";
export type { FeatureSkew, SkewExample, SkewOptions, SkewReport } from "./store_skew.ts";
export type { Vacuumed, VacuumOptions } from "./store_vacuum.ts";
export type { TrainOptions } from "./retrieve/training.ts";
export { TrainingSet } from "./retrieve/training_set.ts";
export type { TrainingRecord } from "./retrieve/training_set.ts";
export { LabelProfile } from "./retrieve/label_profile.ts";
export type { LabelFacts, LabelFeature, LabelOptions, LabelPart } from "./retrieve/label_profile.ts";
export type { Plan, PlanItem } from "./registry/plan.ts";
export type { Change } from "./registry/state.ts";
export type { Answer, ComputedInputs, ServedFeature } from "./retrieve/service_reader.ts";
export type { AnswerStatus, FeatureStatus } from "./retrieve/status.ts";

// How long work looks
export type { Progress } from "./materialize/progress.ts";
export { formatBytes, formatCount, formatSeconds } from "./text.ts";
export { progressBars } from "./notebook/progress_bar.ts";
export type { ProgressBars, ProgressStream } from "./notebook/progress_bar.ts";
export { textTable } from "./notebook/table_text.ts";
export type { Align } from "./notebook/table_text.ts";

// Types that the types above are made of: an exported constant of a user's module may need their names
export type {
  CheckedChoice,
  ChosenName,
  DefaultedName,
  FeatureChoice,
  FeatureName,
  FeaturesOf,
  KeyedSource,
  ViewSettings,
} from "./define/view_types.ts";
export type { FunctionAnswer, FunctionValue } from "./sandbox/published_function.ts";
export type {
  ComputedFeatures,
  FunctionFeatures,
  FunctionRow,
  KeysOfParts,
  OnlyOf,
  RealtimeRow,
  Settled,
} from "./define/realtime_types.ts";
export { SelectableView } from "./define/selectable.ts";
export type { NoFields, Prefixed } from "./define/selection.ts";
export type {
  FeaturesOfParts,
  Intersection,
  RequestFieldsOf,
  RequestKeys,
  RequestOf,
  ServicePart,
  Simplify,
} from "./define/service.ts";
export type {
  AnyView,
  Descriptive,
  RealtimeCompute,
  RealtimeExpressions,
  RealtimeFunction,
  ServiceView,
} from "./define/definitions.ts";
export type {
  AggregatesOver,
  ColumnName,
  DefaultValue,
  Derived,
  Dropped,
  Grouped,
  InputOver,
  InputsOver,
  Joined,
  JoinOnInput,
  Renamed,
  Resolved,
  RightKeys,
  RowOfInputs,
  RowOfSchema,
  Selected,
  Unnested,
} from "./frame/frame_types.ts";
export type {
  Aggregated,
  AggregatedList,
  AggregatesInputOver,
  AggregationName,
  ByName,
  CalledOf,
  CalledValue,
  CheckedWindows,
  DefaultOf,
  FeaturesOfAggregate,
  FeatureValue,
  NamedFeature,
  SecondaryKeys,
  SeriesStep,
  Signed,
  Unsigned,
  ValueOfFeature,
  WindowFeatures,
  WindowName,
  WindowValue,
} from "./frame/window_types.ts";
export type { WindowedFeature, WindowedSpec } from "./frame/window_reading.ts";
export { windowFunctions } from "./frame/window_functions.ts";
export type { WindowFunction, WindowFunctionName, WindowParameter } from "./frame/window_functions.ts";
export type { AggregationDefinition, WindowBoundary, WindowDefinition, WindowEdge } from "./frame/window_spec.ts";
export type { CountedValue, ListedValue } from "./frame/expr_value.ts";
export type { CalledAfter, CustomName, Over, PercentileName } from "./frame/aggregates.ts";
export type { AggregateView, AttributeView, ViewBase, WindowFeature } from "./define/definitions.ts";
export type { PublishOptions } from "./define/view.ts";
export type { ParquetFile, ParquetOptions } from "./engine/engine.ts";
export type { AggregateSpec, InputColumns, InputValue } from "./frame/aggregates.ts";
export type { ColumnsOf, Numeric, ValueOfOperand } from "./frame/expr.ts";
export type { WhenClause } from "./frame/expr_functions.ts";
export type { ListMethods } from "./frame/expr_list.ts";
export type { Plain } from "./frame/expr_literal.ts";
export type { ExprNode, LiteralValue } from "./frame/expr_node.ts";
export type { StringMethods } from "./frame/expr_string.ts";
export type { TimeMethods } from "./frame/expr_time.ts";
export type {
  ArithmeticValue,
  CastValue,
  ColumnValue,
  ConstantValue,
  Operands,
  PresentValue,
  ResolveExpr,
} from "./frame/expr_value.ts";
export type { AnyFrame } from "./frame/frame.ts";
export type { PublishTarget } from "./frame/keyed_frame.ts";
export type { Query } from "./frame/query.ts";
export type { ResultTypes } from "./frame/runtime.ts";
export type { JobState, Queue } from "./queue/queue.ts";
export type { ApplyOptions, Backfill, ChangeKind, Difference } from "./registry/plan.ts";
export type { HistoryOptions } from "./registry/registry.ts";
export type { AsOf } from "./retrieve/point_in_time.ts";
export type { SpineInput } from "./retrieve/spine.ts";
export type { AnyRecordedView, ReadVersion, RecordedRealtimeView, RecordedView } from "./retrieve/training_set.ts";
export type { RealtimeRead } from "./retrieve/feature_read.ts";
export type { Readable } from "./store_reads.ts";
export type { ThenClause } from "./frame/expr_functions.ts";
export type { LiteralNode, OperationOptions } from "./frame/expr_node.ts";
export type { CalendarUnit, EpochUnit, LengthUnit } from "./frame/expr_time.ts";
export type { ArithmeticResult, ResolveOperand } from "./frame/expr_value.ts";
export type { Operation } from "./frame/operations.ts";
export type {
  AggregateStep,
  AsOfJoinStep,
  DeriveStep,
  DistinctStep,
  DropStep,
  FilterStep,
  JoinStep,
  LimitStep,
  NamedAggregate,
  RenameStep,
  SampleStep,
  ScanStep,
  SelectStep,
  SortStep,
  SqlStep,
  UnionStep,
  UnnestStep,
} from "./frame/query.ts";
export type { Job } from "./queue/jobs.ts";
export type {
  Handler,
  JobRecord,
  ListFilter,
  QueueEvent,
  Running,
  SubmitOptions,
  WorkerRecord,
} from "./queue/queue.ts";
export type { FeatureRead } from "./retrieve/feature_read.ts";
export type { OptionValue } from "./frame/expr_node.ts";
export type { Operations } from "./frame/operations.ts";
export type { AggregateFunction, JoinKey, NamedExpr, SortKey, SourceSpec } from "./frame/query.ts";
export type { CleanJob, FindLateJob, LoadOnlineJob, MaterializeJob } from "./queue/jobs.ts";
export type { JobContext, QueueEventKind } from "./queue/queue.ts";
export type { OperationSpec } from "./frame/operations.ts";
export type { FileSource, MemorySource } from "./frame/query.ts";
export type { OptionRule } from "./frame/operation_options.ts";
export type { TypeRule } from "./frame/operation_rules.ts";
export type { TextForm } from "./frame/operations.ts";
export type { Mismatch, Signature } from "./frame/operation_rules.ts";
export type { Action, ViewVersion } from "./registry/state.ts";

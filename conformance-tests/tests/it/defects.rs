//! The ways in which a store is broken in these tests. Each is a mistake that somebody has made.

macro_rules! defects {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Defect { $($(#[$doc])* $name,)* }

        pub(crate) const ALL: &[Defect] = &[$(Defect::$name,)*];
    };
}

defects! {
    /// `create` replaces a live record.
    CreateOverwrites,
    /// `create` looks first and writes later.
    CreateChecksThenSets,
    /// `create` over a record that is over keeps its subject and data.
    CreateMergesWithOld,
    /// A deleted id is remembered and refused.
    DeletedIdsAreTaken,
    /// A time to live of zero or less means for ever.
    PastEndMeansForever,
    /// `create` stores the record before its payload.
    CreateInTwoSteps,
    /// `create` takes payloads of any size.
    CreateHasNoLimit,
    /// The limit is compared with the last three bytes of the length.
    LimitIgnoresHighBytes,
    /// The credential tag is not stored.
    ForgetsTag,
    /// Payloads end at the first NUL.
    PayloadEndsAtNul,
    /// Payloads end after 65,535 bytes.
    PayloadsEndAt64K,
    /// Arrays in payloads lose their order and what is in them twice.
    ArraysAreSets,
    /// No two records have one hash.
    HashesAreUnique,
    /// Records are found by half of the id.
    FindsByHalfOfTheId,
    /// Reading extends the life.
    LoadExtends,
    /// Reading removes what is over.
    LoadRemovesWhatIsOver,
    /// Reading an unknown id leaves a row.
    LoadLeavesATrace,
    /// A payload of a later format is read as none.
    BlanksLaterFormats,
    /// The stored hash opens the session as its secret does.
    StoredHashIsASecret,
    /// Each handle keeps what it has read.
    HandlesCache,
    /// Each handle shows what it has read when it finds nothing.
    DeletedStayInCaches,
    /// Each handle has data of its own.
    HandlesAreApart,
    /// `update` leaves the revision as it was.
    UpdateKeepsRevision,
    /// `update` does not look at the revision.
    UpdateIsBlind,
    /// `update` does not look at the revision of a record that was never updated.
    FirstUpdateIsBlind,
    /// `update` looks first and writes later.
    UpdateChecksThenSets,
    /// `update` creates what is missing.
    UpdateCreates,
    /// `update` brings back what is over.
    UpdateRevives,
    /// `update` writes a shorter payload over the beginning of a longer one.
    UpdateLeavesTheTail,
    /// `update` takes payloads of any size.
    UpdateHasNoLimit,
    /// `update` moves the idle deadline back.
    UpdateMovesIdleBack,
    /// `update` never lowers the absolute deadline.
    UpdateKeepsTheLaterDeadline,
    /// `update` does not store the hash of the secret before.
    UpdateForgetsPrevious,
    /// `update` stores no hash of the secret before where there is a subject.
    UpdateForgetsPreviousOfUsers,
    /// `update` stores the hash of the secret before only where there was none.
    FirstPreviousIsKept,
    /// `update` leaves the hash of the secret as it was.
    UpdateKeepsSecret,
    /// `update` stores an authentication only where there was none.
    UpdateKeepsAuthentication,
    /// `update` begins the life of the session again.
    UpdateResetsCreatedAt,
    /// `update` keeps the keys of the old payload that the new one has not.
    UpdateMergesPayloads,
    /// `update` leaves the old record beside the new one.
    UpdateLeavesTheOldRow,
    /// `update` answers `Updated` where it met a conflict and wrote nothing.
    ConflictsAreSwallowed,
    /// `update` takes its own revision for another's.
    OwnRevisionConflicts,
    /// `touch` answers and does nothing.
    TouchDoesNothing,
    /// `touch` moves the idle deadline back.
    TouchMovesBack,
    /// `touch` changes the revision.
    TouchChangesRevision,
    /// `touch` writes the record back as this handle read it last.
    TouchWritesStaleData,
    /// `touch` creates what is missing.
    TouchCreates,
    /// `touch` brings back what is over.
    TouchRevives,
    /// `touch` raises the absolute deadline.
    TouchRaisesDeadline,
    /// `touch` loses the hash of the secret before.
    TouchForgetsPrevious,
    /// `delete` answers `true` whatever there was.
    DeleteIsAlwaysTrue,
    /// `delete` answers and removes nothing.
    DeleteRemovesNothing,
    /// `delete` looks first and removes later.
    DeleteChecksThenRemoves,
    /// `delete` leaves what is over.
    DeleteLeavesWhatIsOver,
    /// Live at the deadline itself.
    LiveAtTheDeadline,
    /// The absolute deadline is not looked at.
    IgnoresDeadline,
    /// Times end in the year 2106.
    TimesEndIn2106,
    /// Times are kept in seconds.
    TimesInSeconds,
    /// What is removed is removed at its end at once.
    MarginIsZero,
    /// Namespaces are told apart by how they begin.
    NamespacesByPrefix,
    /// The records go with a handle.
    RecordsGoWithTheirHandles,
    /// Errors show the payload.
    ErrorsShowThePayload,
    /// `Debug` shows the payloads.
    DebugShowsEverything,
    /// Every update is logged with its payload.
    LogsPayloads,
    /// A conflict is logged with the hash.
    LogsHashesAfterConflicts,
    /// The fixture shows less than is stored.
    DumpHasOnlyKeys,
    /// Every error is `Unavailable`.
    EveryErrorIsUnavailable,
    /// A cursor of any kind is the end.
    AnyCursorIsTheEnd,
    /// A damaged record is no record.
    CorruptIsNone,
    /// A damaged record spoils every list.
    CorruptSpoilsTheList,
    /// A login by an update is not listed.
    UpdateIsNotIndexed,
    /// Each update of a session adds an entry.
    UpdateDuplicatesTheEntry,
    /// The index is read, changed and written back.
    IndexIsRewritten,
    /// An entry of the index ends with the deadline of the first login.
    EntriesEndWithFirstDeadline,
    /// What is over is listed, scanned and counted.
    ListsWhatIsOver,
    /// `delete_all` counts what is over.
    DeleteAllCountsWhatIsOver,
    /// `delete_all` stops after a hundred.
    DeleteAllStopsAtAPage,
    /// `delete_all` does not look at the exception.
    DeleteAllIgnoresException,
    /// `delete_all` counts, and removes nothing.
    DeleteAllRemovesNothing,
    /// `delete_all` spares what was written since it looked.
    DeleteAllSparesWhatChanges,
    /// `delete_one` does not look at the subject.
    DeleteOneIgnoresSubject,
    /// Pages have one entry more than asked for.
    PagesAreTooLong,
    /// The first entry after a page is passed over.
    PagesSkip,
    /// Pages are counted from the beginning.
    PagesByOffset,
    /// The case of a subject does not matter.
    SubjectsIgnoreCase,
    /// The realm of a subject does not matter.
    SubjectsIgnoreRealm,
    /// Summaries have no authentication.
    SummariesWithoutAuthentication,
    /// `purge` removes what ends right after the cut-off.
    PurgeIsHasty,
    /// `purge` does not look at the absolute deadline.
    PurgeIgnoresDeadline,
    /// `purge` removes all that there is.
    PurgeIgnoresLimit,
    /// `purge` looks first and removes later.
    PurgeChecksThenRemoves,
    /// `purge` counts what another purger has removed.
    PurgeCountsTwice,
    /// `purge` takes out what it looks at, and puts back what is not over.
    PurgePutsBack,
    /// A load that is dropped keeps its place among those that may be under way.
    DroppedLoadKeepsItsPlace,
}

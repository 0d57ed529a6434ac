//! All statements of a store.

use crate::names::Names;
use crate::statement::{Form, Statement};

/// The files of the folder `sql`, with the names of a store filled in.
#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) create: Statement,
    pub(crate) load: Statement,
    pub(crate) update: Statement,
    pub(crate) update_refused: Statement,
    pub(crate) touch: Statement,
    pub(crate) touch_refused: Statement,
    pub(crate) delete: Statement,
    pub(crate) delete_one: Statement,
    pub(crate) delete_all: Statement,
    pub(crate) list: Statement,
    pub(crate) scan: Statement,
    pub(crate) count: Statement,
    pub(crate) purge: Statement,
    pub(crate) check: Statement,
}

/// How many sessions one piece of `delete_all` looks at, as in `delete_all.sql`.
pub(crate) const DELETE_PIECE: i64 = 1_000;
/// How many rows one piece of `count` looks at, as in `count.sql`.
pub(crate) const COUNT_PIECE: i64 = 5_000;

impl Sql {
    pub(crate) fn new(names: &Names, form: Form) -> Self {
        let statement = |name, template| Statement::new(name, template, names, form);
        Self {
            create: statement("create", include_str!("sql/create.sql")),
            load: statement("load", include_str!("sql/load.sql")),
            update: statement("update", include_str!("sql/update.sql")),
            update_refused: statement("update", include_str!("sql/update_refused.sql")),
            touch: statement("touch", include_str!("sql/touch.sql")),
            touch_refused: statement("touch", include_str!("sql/touch_refused.sql")),
            delete: statement("delete", include_str!("sql/delete.sql")),
            delete_one: statement("delete", include_str!("sql/delete_one.sql")),
            delete_all: statement("delete_all", include_str!("sql/delete_all.sql")),
            list: statement("list", include_str!("sql/list.sql")),
            scan: statement("scan", include_str!("sql/scan.sql")),
            count: statement("count", include_str!("sql/count.sql")),
            purge: statement("purge", include_str!("sql/purge.sql")),
            check: statement("check", include_str!("sql/check.sql")),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn pieces_are_as_long_as_the_statements_say() {
        let limit = |count| format!("LIMIT {count}\n");
        assert!(include_str!("sql/delete_all.sql").contains(&limit(super::DELETE_PIECE)));
        assert!(include_str!("sql/count.sql").contains(&limit(super::COUNT_PIECE)));
    }
}

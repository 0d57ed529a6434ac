//! The rules of sessions over HTTP, served by actix-web.

use std::process::ExitCode;

use actix_web::dev::ServerHandle;
use actix_web::{App as ActixApp, HttpRequest, HttpResponse, HttpServer, web};
use conformance_tests::Result;
use conformance_tests::http::{
    App, AppBody, AppRequest, HttpFixture, HttpSuite, InProcess, Served,
};
use session_actix::{Session, SessionMiddleware, Sites};
use session_memory::MemoryStore;

struct Actix;

impl HttpFixture for Actix {
    const NAME: &'static str = "session-actix";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    async fn serve(&self, sites: Sites, app: App) -> Result<Served> {
        let middleware = SessionMiddleware::new(sites);
        let server = HttpServer::new(move || {
            let app = web::Data::new(app.clone());
            ActixApp::new().wrap(middleware.clone()).app_data(app).default_service(web::to(answer))
        });
        let server = server.workers(2).disable_signals().bind(("127.0.0.1", 0))?;
        let addr = *server.addrs().first().ok_or("no address")?;
        let server = server.run();
        let running = Running(server.handle());
        tokio::spawn(server);
        Ok(Served::new(addr, running))
    }
}

struct Running(ServerHandle);

impl Drop for Running {
    fn drop(&mut self) {
        // The order goes out at once; nobody waits for the end.
        drop(self.0.stop(false));
    }
}

async fn answer(
    app: web::Data<App>,
    session: Session,
    request: HttpRequest,
) -> session_actix::Result<HttpResponse> {
    let (path, query) = (request.path().to_owned(), request.query_string().to_owned());
    let answer = app.respond((*session).clone(), AppRequest { path, query }).await?;
    let status = answer.status.try_into().expect("the suite's statuses are valid");
    let mut response = HttpResponse::build(status);
    for header in answer.headers {
        response.append_header(header);
    }
    Ok(match answer.body {
        AppBody::Text(text) => response.body(text),
        AppBody::Stream(pieces) => response.streaming(pieces),
    })
}

fn main() -> ExitCode {
    HttpSuite::<_, InProcess<MemoryStore>>::new(Actix).main()
}

//! Every route, by every role and by nobody.

use tapkey_api::{ProblemCode, tokens::Role};
use tapkey_server::{Operation, Role as DomainRole, routes};

use super::common::TestServer;

#[tokio::test]
async fn every_route_asks_for_a_token_and_its_role() {
    let server = TestServer::start().await;
    let enroller = server.token(Role::Enroller).await;
    let application = server.token(Role::Application).await;
    let callers = [
        (DomainRole::Admin, server.admin.as_str()),
        (DomainRole::Enroller, enroller.token.expose()),
        (DomainRole::Application, application.token.expose()),
    ];
    let routes = routes();
    assert!(routes.len() >= 25, "{}", routes.len());
    for route in &routes {
        let path = route.path.replace("{name}", "nobody").replace("{id}", "0000000000000000");
        let path = path.strip_prefix("/api/v1").unwrap();
        for token in ["", "nonsense", &"tapkey_".repeat(10), &format!("{}0", &server.admin[..87])] {
            // An administrator's token may by chance end in 0.
            if token == server.admin {
                continue;
            }
            let reply = server.api(token, route.method.as_str(), path, Some("{")).await;
            reply.problem(ProblemCode::Unauthorized);
            assert_eq!(reply.headers["www-authenticate"], "Bearer", "{route:?}");
        }
        for (role, token) in callers {
            // The body is nonsense: whoever may not come in must be turned away before it is read.
            let reply = server.api(token, route.method.as_str(), path, Some("{")).await;
            if role.may(route.operation) {
                assert!(!matches!(reply.status, 401 | 403), "{route:?} {role:?} {reply:?}");
                assert!(reply.status < 500, "{route:?} {role:?} {reply:?}");
            } else {
                reply.problem(ProblemCode::Forbidden);
            }
        }
    }
}

/// What each role reaches, said once more by hand: a change here is a change of the security model.
#[test]
fn what_each_role_reaches() {
    let reach = |role: DomainRole| -> Vec<String> {
        let routes = routes().into_iter().filter(|route| role.may(route.operation));
        let mut names: Vec<_> = routes.map(|route| format!("{} {}", route.method, route.path)).collect();
        names.sort();
        names
    };
    assert_eq!(
        reach(DomainRole::Enroller),
        [
            "DELETE /api/v1/enrollments/{id}",
            "GET /api/v1/bundle-key",
            "GET /api/v1/enrollments/{id}",
            "GET /api/v1/status",
            "POST /api/v1/enrollments",
            "POST /api/v1/enrollments/confirm",
            "POST /api/v1/enrollments/{id}/confirm",
        ]
    );
    assert_eq!(reach(DomainRole::Application), ["GET /api/v1/status", "POST /api/v1/accounts/{name}/verify"]);
    assert_eq!(reach(DomainRole::Admin).len(), routes().len());
    let codes = routes().into_iter().filter(|route| route.operation == Operation::ReadAccessCode).count();
    assert_eq!(codes, 2);
}

#[tokio::test]
async fn tokens_are_only_taken_as_bearer_tokens() {
    let server = TestServer::start().await;
    let admin = &server.admin;
    let get = async |header: &str| {
        server.http("GET", "/api/v1/status", &[("authorization", header)], b"").await.status
    };
    assert_eq!(get(&format!("Bearer {admin}")).await, 200);
    assert_eq!(get(&format!("bearer  {admin} ")).await, 200);
    assert_eq!(get(&format!("Basic {admin}")).await, 401);
    assert_eq!(get(admin).await, 401);
    assert_eq!(server.http("GET", &format!("/api/v1/status?token={admin}"), &[], b"").await.status, 401);
}
